"""From a file to a spectrogram: reading, decoding, mel bands, fingerprints."""
