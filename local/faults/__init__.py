"""Whatever AWS, platforms and people can do to a job, in memory and on a virtual clock (`make faults`)."""
