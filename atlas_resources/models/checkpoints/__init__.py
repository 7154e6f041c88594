"""What weight files hold, read without building a network. Finding and verifying them is in `weights`."""
