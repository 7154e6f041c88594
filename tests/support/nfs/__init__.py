"""A guest that mounts one folder over NFS from two hosts, for tests that a local disk cannot make fail."""
