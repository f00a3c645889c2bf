"""What every stage uses: params.yaml, whole files, tables."""
