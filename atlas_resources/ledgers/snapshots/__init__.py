"""The ledgers of snapshots, from the files of `snapshots/`."""
