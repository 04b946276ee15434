// Nothing to do: see action.yml.
