/// Names of the extended attributes that twinfs keeps on images and twins.
public enum TwinAttribute {
    /// What all of them begin with.
    public static let prefix = "user.twinfs."

    /// What a twin is worth.
    public static let state = "user.twinfs.state"
    /// The image that a twin is of, as `NameText` shows its path.
    public static let image = "user.twinfs.image"
    /// Ids of the checkpoints of the image that existed at the cut.
    public static let checkpoints = "user.twinfs.checkpoints"
    /// Which job writes the twin (`JobStamp`).
    public static let job = "user.twinfs.job"
    /// When the twin was cut: seconds since 1970.
    public static let cut = "user.twinfs.cut"
    /// Which life of the job the twin was cut in.
    public static let generation = "user.twinfs.generation"

    /// Of a file that serves an image in place of its own: which record says so.
    public static let serving = "user.twinfs.serving"
    /// Of a file that does not serve its image any more: which file took over.
    public static let superseded = "user.twinfs.superseded"
    /// Write-intent logs that could not be kept, by id.
    public static let intent = "user.twinfs.intent"
}
