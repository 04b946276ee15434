"""What a row about a patient must look like."""

import pandera.pandas as pa


class Patients(pa.DataFrameModel):
    id: int = pa.Field(ge=0, unique=True)
    age: float = pa.Field(in_range={"min_value": 18, "max_value": 110})
    sex: float = pa.Field(isin=[1, 2])
    bmi: float = pa.Field(in_range={"min_value": 10, "max_value": 70})
    bp: float = pa.Field(in_range={"min_value": 40, "max_value": 200})
    progression: float = pa.Field(ge=0)
