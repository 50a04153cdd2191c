"""What a person runs against a deployed stack, in AWS or on this machine: the commands behind `make`."""
