"""The models, one file for each family, all under the contract of `language_model`."""
