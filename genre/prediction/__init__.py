"""Predictions of a trained model for recordings, on the command line or served."""
