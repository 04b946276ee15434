"""Write the published JSON Schemas from the types; with `--check`, say which one is out of date."""

import sys
from pathlib import Path

from mlgate import config, evidence

FOLDER = Path(__file__).parent / "mlgate" / "schemas"


def main() -> int:
    schemas = {"mlgate": config.json_schema(), **{stage: evidence.json_schema(stage) for stage in evidence.STAGES}}
    stale = []
    for name, schema in schemas.items():
        path, text = FOLDER / f"{name}.schema.json", evidence.dump_schema(schema)
        if path.exists() and path.read_text() == text:
            continue
        stale.append(path.name)
        if "--check" not in sys.argv:
            path.write_text(text)
    if stale:
        print(f"{', '.join(stale)}: {'out of date; run make schemas' if '--check' in sys.argv else 'written'}")
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
