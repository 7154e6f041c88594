"""What the tests share: made plates, fake instruments, local servers, real files where they are present."""
