"""The networks, their file, the hardware they run on, and inference."""
