"""Benchmark of training and simulation against other libraries: `make peers`, then `make bench`.

`contenders` says who takes part, `models` builds their networks, `measure` measures one of them in a process of its
own, `runner` lets them take turns, `report` writes the table and the plot.
"""
