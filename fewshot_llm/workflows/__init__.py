"""What takes minutes and ends in a saved folder."""
