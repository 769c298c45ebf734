"""The data layer: sources, cleaning, tokenizers, datasets, batches; one file for each stage."""
