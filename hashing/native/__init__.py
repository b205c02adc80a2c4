"""The compiled kernels: the few loops over rows that NumPy needs several passes over memory for.

Each kernel does what a function in NumPy does that stands beside its call, bit for bit, and tests compare the two.
Where no compiler was at hand when Tallystick was installed, NumPy does the work. docs/adr/0025 says why and what is
gained.
"""
