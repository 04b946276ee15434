"""GPUs of this machine: found, checked, leased, watched and accounted for."""
