"""How good the predictions are, and how far they can be trusted."""
