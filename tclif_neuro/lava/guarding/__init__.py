"""Any use of Lava in a child process that ends, whatever Lava does."""
