"""Every fault that AWS, a platform or a worker's end can bring to a job, in memory, on a virtual clock (`make faults`)."""
