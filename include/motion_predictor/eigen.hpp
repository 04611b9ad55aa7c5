// Eigen maps over the arrays of a message. Maps copy nothing, so the message must outlive its maps.
#ifndef MOTION_PREDICTOR__EIGEN_HPP_
#define MOTION_PREDICTOR__EIGEN_HPP_

#include <Eigen/Core>

#include <cstddef>

#include "motion_predictor/msg/predicted_motion_array.hpp"

namespace motion_predictor
{

/// Positions of the J joints in one frame: one row (x, y, z) per joint, metres.
using JointsMap = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, 3, Eigen::RowMajor>>;
/// One number per joint and frame: one row per frame, one column per joint.
using FramesMap = Eigen::Map<const Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor>>;

/// Sample s of a person at frame f, (J, 3).
inline JointsMap sample_map(
  const msg::PredictedMotionArray & m, const msg::PredictedMotion & person, std::size_t s, std::size_t f)
{
  return JointsMap(person.samples.data() + (s * m.num_frames + f) * m.num_joints * 3, m.num_joints, 3);
}

/// Mean of a person at frame f, (J, 3).
inline JointsMap mean_map(
  const msg::PredictedMotionArray & m, const msg::PredictedMotion & person, std::size_t f)
{
  return JointsMap(person.mean.data() + f * m.num_joints * 3, m.num_joints, 3);
}

/// Radii of a person, (F, J), metres. These radii are for joints as points: add the radius of the flesh for limbs.
inline FramesMap radius_map(const msg::PredictedMotionArray & m, const msg::PredictedMotion & person)
{
  return FramesMap(person.radius.data(), m.num_frames, m.num_joints);
}

}  // namespace motion_predictor

#endif  // MOTION_PREDICTOR__EIGEN_HPP_
