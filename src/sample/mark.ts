/** What files of a sample say of their maker: `created_by` of parquet, a zip's comment, metadata of a raster. */
export const SAMPLE_MARK = "fields-pipeline sample";

/** The raster's metadata item that holds the mark; a tag of its own in TIFF. */
export const RASTER_MARK_KEY = "TIFFTAG_SOFTWARE";
