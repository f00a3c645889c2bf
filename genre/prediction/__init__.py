"""What a trained model says of a recording, from the command line or served."""
