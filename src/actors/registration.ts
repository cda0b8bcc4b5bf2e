import type { MessageInitShape } from '@bufbuild/protobuf';
import type { RegisterContextRequestSchema } from '../gen/pegaflow/engine_pb.ts';

/** One rank's registration as it goes over the wire: bytes and numbers that can be kept and sent again. */
export type Registration = MessageInitShape<typeof RegisterContextRequestSchema>;
