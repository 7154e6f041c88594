"""`atlas similar`, `atlas search` and `atlas compare`: what they ask for, and how the answer is printed."""
