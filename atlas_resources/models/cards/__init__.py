"""Which CUDA devices of the machine are this process's own.

What is known of a device belongs in `devices`.
"""
