"""`atlas store`: the dataset in a bucket or a shared folder. Thin calls of `sharing`."""
