"""The only package that knows gevent: tasks, sockets that are waited for, ticks, deadlines and the worker's life.

Everything else is plain blocking Python on a patched standard library.
"""
