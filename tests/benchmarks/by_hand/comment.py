"""What a team writes by hand: the outputs of `dvc ... diff` as one comment, posted through PyGithub."""

import os
import sys
from pathlib import Path

from github import Auth, Github

body = "\n\n".join(Path(name).read_text() for name in sys.argv[1:])
github = Github(base_url=os.environ["GITHUB_API_URL"], auth=Auth.Token(os.environ["TOKEN"]))
github.get_repo(os.environ["GITHUB_REPOSITORY"]).get_pull(int(os.environ["PULL_REQUEST"])).create_issue_comment(body)
