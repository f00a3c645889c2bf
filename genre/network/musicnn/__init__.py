"""The networks of the package musicnn, with their published weights and a head for the genres."""
