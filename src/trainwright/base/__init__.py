"""The ground everything stands on: errors, digests, files, random numbers, the machine."""
