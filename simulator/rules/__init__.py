"""The rules of a chat request, by what they look at. `simulator.validation` has the table."""
