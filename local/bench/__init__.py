"""What the stack takes: how long a function takes to start, what a callback and a job are billed: `make bench`."""
