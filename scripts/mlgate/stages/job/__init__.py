"""What a job of a workflow is given and leaves behind: checkout, form, secrets, commands, data to train on."""
