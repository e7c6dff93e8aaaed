"""kiro-py: the Anthropic Messages API, answered from the user's own Kiro subscription."""
