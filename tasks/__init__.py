"""The tasks, one file each: how an example is encoded, which loss, how a prediction is scored."""
