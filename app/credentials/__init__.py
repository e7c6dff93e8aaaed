"""Kiro logins: what they are, which state they are in, which one is next, and how their tokens stay fresh."""
