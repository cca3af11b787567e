/** What parquet files say of their writer: how a later run knows a file that it may replace. */
export const CREATED_BY = "fields-pipeline";
