import { invalidArgument } from './engine-error.ts';

/** Where the blocks of one layer lie in its memory, as the registration describes it. */
export interface LayerShape {
  /** Bytes of one segment of a block. */
  readonly bytesPerBlock: number;
  /** Bytes from the K region to the V region; ignored with one segment. */
  readonly kvStrideBytes: number;
  readonly numBlocks: number;
  readonly segments: number;
}

/** Validated addressing of one layer: block `i` is at `i * blockStrideBytes`, and again `splitStrideBytes` further on. */
export interface LayerLayout {
  readonly numBlocks: number;
  /** Bytes of one contiguous piece of a block. */
  readonly pieceSizeBytes: number;
  /** 0 where a block is one piece. */
  readonly splitStrideBytes: number;
  /** Bytes of a block on the host, all pieces together. */
  readonly blockSizeBytes: number;
}

/** Checks the arithmetic of a layer against the bytes it was given. Throws INVALID_ARGUMENT naming the layer. */
export const layoutFrom = (layerName: string, shape: LayerShape, memorySizeBytes: number): LayerLayout => {
  const { bytesPerBlock: segment, kvStrideBytes: stride, numBlocks, segments } = shape;
  const refuse = (message: string) => invalidArgument(`layer ${layerName}: ${message}`);
  if (memorySizeBytes <= 0) throw refuse('size_bytes must be > 0');
  if (segment === 0 || numBlocks === 0 || segments === 0) {
    throw refuse('bytes_per_block, num_blocks and segments must be non-zero');
  }
  const blockSizeBytes = segment * segments;
  if (!Number.isSafeInteger(blockSizeBytes * numBlocks) || !Number.isSafeInteger(stride + segment * numBlocks)) {
    throw refuse('block size overflow');
  }
  if (segments > 1) {
    if (stride === 0) throw refuse('kv_stride_bytes must be > 0 when segments > 1');
    if (stride < segment)
      throw refuse(`segments would overlap: kv_stride_bytes ${stride} < bytes_per_block ${segment}`);
  }
  const isSplit = segments > 1 && stride > segment;
  if (isSplit && segments !== 2) throw refuse(`split layout supports exactly 2 segments, got ${segments}`);
  const neededBytes = isSplit ? stride + numBlocks * segment : numBlocks * blockSizeBytes;
  if (neededBytes > memorySizeBytes) {
    throw refuse(`registered memory too small: need ${neededBytes} bytes, got ${memorySizeBytes}`);
  }
  if (!isSplit) return { numBlocks, pieceSizeBytes: blockSizeBytes, splitStrideBytes: 0, blockSizeBytes };
  const nearest = Math.floor(stride / segment);
  for (const distance of [nearest, nearest + 1]) {
    const collides = distance >= 1 && distance <= numBlocks - 1 && Math.abs(stride - distance * segment) < segment;
    if (collides) throw refuse(`K and V overlaps blocks ${distance} apart`);
  }
  return { numBlocks, pieceSizeBytes: segment, splitStrideBytes: stride, blockSizeBytes };
};
