"""What `make demo` runs: jobs through the whole stack on this machine, and all that can go wrong with them."""
