/** Of `status`: a machine is not `connected`. */
export const EXIT_NOT_CONNECTED = 3;
