/// What the first pass of a job has to do, given what its target holds at the start.
public enum FirstPass: String, CaseIterable, Codable, Sendable {
    /// Copy the image's data extents: where the image has a hole the target reads as zero already.
    case data
    /// Copy everything, holes as zeroes: the target may hold old bytes, or is to be allocated
    /// throughout.
    case everything
    /// Read both, and write what differs.
    case compare
    /// The target equals the image, or is not meant to.
    case nothing
}
