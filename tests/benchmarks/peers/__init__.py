"""The other prompt optimizers: an environment for each, and a small file that has it do a job as its manual says."""
