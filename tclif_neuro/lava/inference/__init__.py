"""A network of integers as Lava processes: the job a child process is given, and the network it builds."""
