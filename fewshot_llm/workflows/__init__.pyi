from .tune import check_out as check_out, tune_to_folder as tune_to_folder
