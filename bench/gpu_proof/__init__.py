"""What only a GPU can show, proved by one command: see `gpu_proof.parts` and `make gpu-proof`."""
