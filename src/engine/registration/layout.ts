import { invalidArgument } from '../engine-error.ts';

/** Where the blocks of one layer lie in its memory, as the registration describes it: numbers of 64 bits. */
export interface LayerShape {
  /** Bytes of one segment of a block. */
  readonly bytesPerBlock: bigint;
  /** Bytes from the K region to the V region; ignored with one segment. */
  readonly kvStrideBytes: bigint;
  readonly numBlocks: bigint;
  readonly segments: number;
}

/** Validated addressing of one layer: block `i` is at `i * pieceSizeBytes`, and again `splitStrideBytes` further on. */
export interface LayerLayout {
  readonly numBlocks: number;
  readonly segmentSizeBytes: number;
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
  if (segment === 0n || numBlocks === 0n || segments === 0) {
    throw refuse('segment_bytes, num_blocks, and segments must be non-zero');
  }
  const block = segment * BigInt(segments);
  if (!isUint64(block)) throw refuse('block size overflow');
  if (segments > 1) {
    if (stride === 0n) throw refuse('kv_stride_bytes must be > 0 when segments > 1');
    if (stride < segment) {
      throw refuse(`kv_stride_bytes ${stride} < segment_bytes ${segment}: segments would overlap`);
    }
  }
  const isSplit = segments > 1 && stride > segment;
  if (isSplit && segments !== 2) {
    throw refuse(
      `split layout (kv_stride_bytes ${stride} > segment_bytes ${segment}) supports exactly 2 segments, got ${segments}`,
    );
  }
  const needed = isSplit ? stride + numBlocks * segment : numBlocks * block;
  if (!isUint64(needed)) throw refuse('memory layout overflow');
  if (isSplit) {
    const nearest = stride / segment;
    for (const distance of [nearest, nearest + 1n]) {
      if (distance > numBlocks - 1n) continue;
      const apart = stride - distance * segment;
      if (apart < segment && apart > -segment) {
        throw refuse(`kv_stride_bytes ${stride} overlaps blocks ${distance} apart`);
      }
    }
  }
  if (needed > BigInt(memorySizeBytes)) {
    throw refuse(`registered memory too small: need ${needed} bytes, got ${memorySizeBytes}`);
  }
  // All of them are at most as large as the memory from here on.
  return {
    numBlocks: Number(numBlocks),
    segmentSizeBytes: Number(segment),
    pieceSizeBytes: Number(isSplit ? segment : block),
    splitStrideBytes: isSplit ? Number(stride) : 0,
    blockSizeBytes: Number(block),
  };
};

const isUint64 = (value: bigint): boolean => BigInt.asUintN(64, value) === value;
