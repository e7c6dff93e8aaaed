"""Carries bytes to and from Kiro; decides nothing about what they mean."""
