"""What leaves the report: pictures, messages to the team, comments of the user's own."""
