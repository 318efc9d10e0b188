"""A network on stock neurons, run by Lava's own processes: the job a child process is given, and what it builds."""
